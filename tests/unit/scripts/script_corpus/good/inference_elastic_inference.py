# check: inference {"framework_version": "1.5.1", "accelerator_type": "ml.eia2.medium"}
import torch


def model_fn(model_dir):
    return torch.jit.load(model_dir + "/model.pt", map_location=torch.device("cpu"))


def predict_fn(input_data, model):
    device = torch.device("cpu")
    model = model.to(device)
    model.eval()
    with torch.jit.optimized_execution(True, {"target_device": "eia:0"}):
        return model(input_data.to(device))
