"""What every package may use: files, folders, locks, processes, text and the terminal.

Its modules import only one another and `core`.
"""
