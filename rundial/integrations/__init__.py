"""Rundial inside training frameworks: one file each, imported only when it is used.

Importing one of them imports the framework that it is for, and no other.
"""
