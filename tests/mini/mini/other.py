"""A module that no chapter imports."""
