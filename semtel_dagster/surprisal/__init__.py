"""How surprising each piece of a text is to a language model, in this process.

Belongs here: the interface, and the models behind it. What is done with the figures belongs in `stages`.
"""
