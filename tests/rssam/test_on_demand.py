"""Public names of the packages, which are imported when they are first used."""

import ast
import importlib

import pytest

from tests.conftest import REPOSITORY


@pytest.mark.parametrize("package", ["rssam", "data_prep", "benchmarks", "reports"])
def test_every_public_name_is_what_the_type_checker_sees(package):
    """Against the imports for type checking in the same file."""
    module = importlib.import_module(package)
    tree = ast.parse((REPOSITORY / package / "__init__.py").read_text())
    imported = {
        alias.asname or alias.name: getattr(importlib.import_module(node.module), alias.name)
        for block in tree.body
        if isinstance(block, ast.If)
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert imported.keys() == set(module.__all__)
    assert all(getattr(module, name) is value for name, value in imported.items())


@pytest.mark.parametrize("package", ["rssam", "data_prep", "benchmarks", "reports"])
def test_another_name_is_an_attribute_error(package):
    with pytest.raises(AttributeError, match=f"module '{package}' has no attribute 'nothing'"):
        _ = importlib.import_module(package).nothing
