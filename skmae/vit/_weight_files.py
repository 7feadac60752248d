"""Files and folders of weights: damage is seen, nothing in them can run, and they are written whole or not at all."""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from skmae.vit._archives import first_line, load_archive
from skmae.vit._checkpoint import write_atomically
from skmae.vit._origin import Origin

State = dict[str, Tensor]

CONFIG, PIXELS = "config.json", "preprocessor_config.json"
_IN_FOLDERS = ("model.safetensors", "pytorch_model.bin")  # as transformers names them
_KNOWN = ("model", "module", "state_dict", "model_state_dict", "model_state")  # of a file that holds several mappings
_DEPTH = 3
_NOTES, _CHECKSUM = "skmae", "skmae_sha256"


@dataclass(frozen=True)
class Weights:
    """Weights by name, and where they are from.

    Parameters
    ----------
    state : dict of str to Tensor
    path : Path or None
        The file or folder, None of a mapping.
    origin : Origin or None
        The model that they were made with, where it is known.
    """

    state: State
    path: Path | None = None
    origin: Origin | None = None

    @contextmanager
    def named(self) -> Iterator[None]:
        """Say in errors which file it is that they speak of."""
        try:
            yield
        except ValueError as error:
            raise error if self.path is None else ValueError(f"{str(self.path)!r}: {error}") from error


def read_weights(source: Any) -> Weights:
    """Weights of a file, of a folder that transformers wrote, or of a mapping.

    Raises
    ------
    FileNotFoundError
        If there is no such file, or the folder has no weights.
    ValueError
        If it cannot be read, or holds no tensors by name. The text names the file.
    """
    if isinstance(source, Mapping):
        return Weights(_tensors_in(source))
    if not isinstance(source, str | PathLike):
        raise TypeError(
            f"weights is of type {type(source).__name__}. Pass the path of a file or folder, or a mapping from names "
            f"to tensors."
        )
    path = Path(source)
    if path.is_dir():
        return _read_folder(path)
    if not path.exists():
        remedy = (
            "" if path.suffix else " Nothing is downloaded: fetch it first, by huggingface_hub's snapshot_download."
        )
        raise FileNotFoundError(f"weights: there is no file or folder {str(source)!r}.{remedy}")
    return _read_file(path)


def read_pretrained(source: Any) -> Weights:
    """The same, with what transformers' config.json says of the model, where skmae noted nothing itself."""
    weights = read_weights(source)
    path = weights.path
    if weights.origin is not None or path is None:
        return weights
    folder = path if path.is_dir() else path.parent
    if (path.is_dir() or path.name in _IN_FOLDERS) and (folder / CONFIG).exists():
        return replace(weights, origin=_read_configuration(folder))
    return weights


def write_safetensors(path: Path, state: State, origin: Origin) -> None:
    """Weights, and what they were made with as metadata, with a checksum of both."""
    notes = json.dumps(origin.to_notes())
    state = {name: tensor.detach().cpu().contiguous() for name, tensor in state.items()}
    metadata = {"format": "pt", _NOTES: notes, _CHECKSUM: _checksum(notes, state)}
    content = safetensors.torch.save(state, metadata)
    write_atomically(path, lambda file: file.write(content))


def write_json(path: Path, content: dict[str, Any]) -> None:
    text = json.dumps(content, indent=2, sort_keys=True) + "\n"
    write_atomically(path, lambda file: file.write(text.encode()))


# -- files -------------------------------------------------------------------------------------------------------


def _read_file(path: Path) -> Weights:
    with open(path, "rb") as head:
        is_safetensors = head.read(9)[8:] == b"{"  # after eight bytes with the length of what this begins
    try:
        return replace(_read_safetensors(path) if is_safetensors else _read_archive(path), path=path)
    except ValueError as error:
        raise ValueError(f"weights: {error}") from error.__cause__


def _read_archive(path: Path) -> Weights:
    content = load_archive(path)
    with Weights({}, path).named():
        notes = content.get("origin") if isinstance(content, Mapping) else None  # of a checkpoint
        return Weights(_tensors_in(content), origin=_origin(notes) if notes and isinstance(notes, str) else None)


def _read_safetensors(path: Path) -> Weights:
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        ours = {_NOTES, _CHECKSUM} & metadata.keys()
        if ours and (len(ours) == 1 or metadata[_CHECKSUM] != _checksum(metadata[_NOTES], state)):
            raise ValueError("the checksum is another")
    except Exception as error:  # whatever a damaged file makes the library raise
        raise ValueError(
            f"{str(path)!r} cannot be read ({type(error).__name__}: {first_line(error)}). It is damaged, or not a file "
            f"of weights. Get it anew."
        ) from error
    with Weights({}, path).named():
        return Weights(_tensors_in(state), origin=_origin(metadata[_NOTES]) if ours else None)


def _origin(notes: str) -> Origin:
    try:
        return Origin.from_notes(json.loads(notes))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"what skmae noted in it cannot be read ({error})") from error


def _checksum(notes: str, state: State) -> str:
    digest = hashlib.sha256(notes.encode())
    for name in sorted(state):
        tensor = state[name]
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.contiguous().flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()


# -- folders -----------------------------------------------------------------------------------------------------


def _read_folder(folder: Path) -> Weights:
    for name in _IN_FOLDERS:
        if (folder / name).exists():
            return replace(_read_file(folder / name), path=folder)
        if (folder / f"{name}.index.json").exists():
            return Weights(_read_shards(folder / f"{name}.index.json"), folder)
    raise FileNotFoundError(
        f"weights: the folder {str(folder)!r} has neither {' nor '.join(_IN_FOLDERS)}, whole or in parts with an "
        f"index. Pass a folder that save_pretrained wrote, or the path of a file."
    )


def _read_shards(index: Path) -> State:
    """The files that an index names, each of which holds the weights that the index says."""
    where = _read_json(index).get("weight_map")
    if not isinstance(where, Mapping) or not where or not all(isinstance(name, str) for name in where.values()):
        raise ValueError(f"{str(index)!r} has no weight_map, from weights to files. It is damaged. Get it anew.")
    state: State = {}
    for name in sorted({*where.values()}):
        if not re.fullmatch(r"[\w-][\w.-]*", name) or not (index.parent / name).is_file():
            raise ValueError(f"{str(index)!r} names the file {name!r}, which the folder does not have. Get it anew.")
        part = _read_file(index.parent / name).state
        if part.keys() != {weight for weight, file in where.items() if file == name}:
            raise ValueError(f"{str(index)!r} and {name!r} disagree on which weights are there. Get them anew.")
        state |= part
    return state


def _read_configuration(folder: Path) -> Origin:
    config = _read_json(folder / CONFIG)
    pixels = _read_json(folder / PIXELS) if (folder / PIXELS).exists() else None
    files = CONFIG if pixels is None else f"{CONFIG} or {PIXELS}"
    try:
        return Origin.from_transformers(config, pixels)
    except ValueError as error:
        raise ValueError(f"weights: {files} of {str(folder)!r} cannot be used: {error}") from error


def _read_json(path: Path) -> dict[str, Any]:
    content = path.read_bytes()
    try:
        values = json.loads(content)
        if not isinstance(values, dict):
            raise ValueError(f"it is a {type(values).__name__}")
    except (ValueError, RecursionError) as error:
        raise ValueError(
            f"weights: {str(path)!r} is not a JSON object ({type(error).__name__}: {first_line(error)}). It is "
            f"damaged. Get it anew."
        ) from error
    return values


# -- mappings ----------------------------------------------------------------------------------------------------


def _tensors_in(content: Any) -> State:
    """The mapping from names to tensors: what came, or what is within it, under whatever name."""
    level = {"": content}
    for _ in range(_DEPTH):
        found = {name: value for name, value in level.items() if _is_state(value)}
        if found:
            return _plain(_choose(found))
        level = {key: item for value in level.values() if isinstance(value, Mapping) for key, item in value.items()}
    raise ValueError(
        f"weights hold no state dict, which maps names to tensors. Found: {_described(content)}. Pass such a mapping, "
        f"or a file with one."
    )


def _is_state(value: Any) -> bool:
    return isinstance(value, Mapping) and bool(value) and all(map(_is_named_tensor, value.items()))


def _is_named_tensor(item: tuple[Any, Any]) -> bool:
    return isinstance(item[0], str) and isinstance(item[1], Tensor)


def _choose(found: dict[Any, Any]) -> Any:
    names = [name for name in _KNOWN if name in found] or list(found)
    if len(names) > 1 and names[0] not in _KNOWN:
        several = ", ".join(f"{name!r} ({len(found[name])})" for name in names[:8])
        raise ValueError(f"weights hold several mappings from names to tensors: {several}. Pass one of them.")
    return found[names[0]]


def _plain(state: Mapping[str, Tensor]) -> State:
    """Refuse tensors that are not just numbers in memory: sparse, quantized, nested, without content."""
    for name, tensor in state.items():
        if tensor.layout != torch.strided or tensor.is_quantized or tensor.device.type == "meta" or tensor.is_nested:
            raise ValueError(
                f"weights hold {name!r} as a tensor that is sparse, quantized, nested or without content. Pass dense "
                f"ones of floating numbers."
            )
    return {name: tensor.detach() for name, tensor in state.items()}


def _described(content: Any) -> str:
    if not isinstance(content, Mapping):
        return f"an object of type {type(content).__name__}"
    parts = [f"{key!r} ({type(value).__name__})" for key, value in list(content.items())[:8]]
    return ", ".join(parts) + (f" and {len(content) - 8} more" if len(content) > 8 else "") or "nothing"
