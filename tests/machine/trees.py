"""Folders that stand for the root of a machine, with /proc and /sys as text."""


def write_tree(root, files):
    """Write the files, keyed by path below the root, and return the root."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root
