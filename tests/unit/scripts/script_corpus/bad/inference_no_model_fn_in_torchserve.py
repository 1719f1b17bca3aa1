# check: inference {"framework_version": "2.6.0"}  # expect: Inference.modelFn warning
class Handler:
    def model_fn(self, model_dir):
        return None
