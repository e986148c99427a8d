"""Homework with questions that differ for each student, and its grading.

Read `variant`, `answer_inputs`, `question` and `questions` first. `homework` writes the
files of a student, with `assignment`, `answers`, `templates` and, in the file of the
network, `homework_metadata`. `grade` uses in this order: `submitted_files`,
`submissions`, `ownership` with `class_list`, `instructor_mistakes`, `grading`,
`class_grades` with `shared_work`, `class_page`. `notebook` has its own questions, whose
texts are in `notebook.toml`.

A typical wrong answer has a hint. In the homework, it is a `Mistake`, computed from the
student's network. In the notebook, it is a line of `notebook.toml`, because an answer
can also be a text or a range. The tour of the page, which works without Python, has its
own hints in `tour_steps.html`.
"""

from pipeline.teaching.variant import Variant
