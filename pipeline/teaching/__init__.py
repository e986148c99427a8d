"""Homework with questions that differ for each student, and its grading.

Read `variant`, `basis`, `question` and `questions` first. `homework` writes the files
of a student, with `assignment` and `answers`. `grade` uses in this order:
`submitted_files`, `submissions`, `ownership` with `class_list`, `forgotten`,
`grading`, `class_grades`, `class_page`. The questions of `notebook` are others, with
texts in `notebook.toml`.

A typical wrong answer has a hint: in the homework, a `Mistake` that is computed from the
student's network; in the notebook, a line of `notebook.toml`, because an answer there
can also be a text or a range; on the page of `inspect`, which works without Python, an
attribute in `tour_steps.html`.
"""

from pipeline.teaching.variant import Variant
