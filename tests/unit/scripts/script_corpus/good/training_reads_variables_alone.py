# check: training {"hyperparameters": {"name": "a b"}, "framework_version": "2.6"}
import json
import os

if __name__ == "__main__":
    print(json.loads(os.environ["SM_HPS"])["name"])
