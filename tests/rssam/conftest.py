from tests.rssam.fixtures import sam_file, tiny_vit_b, weights

__all__ = ["sam_file", "tiny_vit_b", "weights"]
