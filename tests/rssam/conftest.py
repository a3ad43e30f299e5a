from tests.rssam.fixtures import converted, sam_file, tiny_vit_b, weights

__all__ = ["converted", "sam_file", "tiny_vit_b", "weights"]
