"""Folders that stand for the root of a machine, with /proc and /sys as text."""


def write_tree(root, files):
    """Write the files, by path below the root, and give the root."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root
