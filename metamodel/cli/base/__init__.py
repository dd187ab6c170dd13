"""What every command is made of: kinds of values and options, files of options, headings of the help, results as text.

It knows click and nothing of any command.
"""
