"""Homework with questions that differ for each student, and its grading.

Read `variant`, `basis`, `question` and `questions` first. `homework` writes the files
of a student, with `assignment` and `answers`. `grade` uses in this order:
`submitted_files`, `submissions`, `ownership` with `class_list`, `grading`,
`class_grades`, `class_page`. `notebook` has its own questions, whose texts are in
`notebook.toml`.
"""

from pipeline.teaching.variant import Variant
