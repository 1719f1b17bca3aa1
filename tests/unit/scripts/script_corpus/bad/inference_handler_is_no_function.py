# check: inference {"framework_version": "2.6"}
model_fn = lambda: 1  # expect: Inference.handlerSignature error
predict_fn = "predict"  # expect: Inference.handlerSignature error
output_fn = None
