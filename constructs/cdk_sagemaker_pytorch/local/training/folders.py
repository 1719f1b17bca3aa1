"""The folders of a training host, laid out as /opt/ml of the container."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class HostFolders:
    """The folders of one host, laid out as /opt/ml of the container."""

    base: Path

    @property
    def code(self) -> Path:
        """Unpacked source code, and the script's working folder."""
        return self.base / "code"

    @property
    def model(self) -> Path:
        """What becomes model.tar.gz."""
        return self.base / "model"

    @property
    def config(self) -> Path:
        """hyperparameters.json, inputdataconfig.json and resourceconfig.json."""
        return self.base / "input" / "config"

    @property
    def data(self) -> Path:
        """One folder for each channel."""
        return self.base / "input" / "data"

    @property
    def output(self) -> Path:
        """What becomes output.tar.gz: `data` and the files success or failure."""
        return self.base / "output"

    @property
    def output_data(self) -> Path:
        """Artifacts of the script other than the model."""
        return self.output / "data"

    @property
    def intermediate(self) -> Path:
        """Artifacts that SageMaker would upload while the job runs."""
        return self.output / "intermediate"

    @property
    def checkpoints(self) -> Path:
        """Checkpoints, /opt/ml/checkpoints of the container."""
        return self.base / "checkpoints"

    def make(self) -> None:
        """Make all folders."""
        for folder in (
            self.code,
            self.model,
            self.config,
            self.data,
            self.output_data,
            self.checkpoints,
        ):
            folder.mkdir(parents=True, exist_ok=True)
