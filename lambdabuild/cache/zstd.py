"""zstd as Python's standard library has it from 3.14 on, and as ``backports.zstd`` has it before."""

from __future__ import annotations

import sys

if sys.version_info >= (3, 14):
    from compression.zstd import ZstdCompressor, ZstdDecompressor, ZstdError, ZstdFile, compress
else:
    from backports.zstd import ZstdCompressor, ZstdDecompressor, ZstdError, ZstdFile, compress

__all__ = ["ZstdCompressor", "ZstdDecompressor", "ZstdError", "ZstdFile", "compress"]
