"""Unpacks the packages of this function, which lie zipped beside it, and puts them on the path.

``import unzip_requirements`` comes before any import of such a package.
"""

import os
import shutil
import sys
import tempfile
import zipfile

ZIP = ".requirements.zip"
PLACE = "/tmp/sls-py-req"


def _unpack(archive, place):
    """All or nothing: a start that was broken off leaves no half of it, and two at once do not disturb one another."""
    fresh = tempfile.mkdtemp(dir=os.path.dirname(place))
    try:
        with zipfile.ZipFile(archive) as opened:
            opened.extractall(fresh)
        os.rename(fresh, place)
    except OSError:
        if not os.path.isdir(place):
            raise
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _archive():
    beside = os.path.join(os.path.dirname(os.path.abspath(__file__)), ZIP)
    return beside if os.path.exists(beside) else os.path.join(os.environ.get("LAMBDA_TASK_ROOT", os.getcwd()), ZIP)


if not os.path.isdir(PLACE):
    _unpack(_archive(), PLACE)
sys.path.insert(1, PLACE)
