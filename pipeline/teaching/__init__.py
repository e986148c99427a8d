"""Homework with questions that differ for each student, and its grading."""

from pipeline.teaching.variant import Variant
