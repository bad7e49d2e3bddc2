"""A script that never imports torch."""
import json
import sys

print(json.dumps({"torch": "torch" in sys.modules, "args": sys.argv[1:], "main": __name__}))
