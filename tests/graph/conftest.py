"""Lets the tests of this folder import ``zoo`` and ``zoo_attention`` in every import mode of pytest."""

import os
import sys

sys.path.insert(0, os.path.dirname(__file__))
