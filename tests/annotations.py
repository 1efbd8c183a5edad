"""Annotations in source code."""

import ast


def list_annotations(tree):
    """Yield the line, the name and the annotation of each annotated argument and field."""
    for node in ast.walk(tree):
        if isinstance(node, ast.arg) and node.annotation is not None:
            yield node.lineno, node.arg, node.annotation
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            yield node.lineno, node.target.id, node.annotation


def list_names(annotation):
    """Return the plain names in an annotation."""
    return {part.id for part in ast.walk(annotation) if isinstance(part, ast.Name)}
