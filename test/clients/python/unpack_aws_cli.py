"""Unpacks AWS CLI version 2 out of the installed package that carries it into the folder given, as `dist/aws`."""

import importlib.util
import io
import os
import pathlib
import sys
import tarfile
import zipfile

target = pathlib.Path(sys.argv[1])
package = pathlib.Path(importlib.util.find_spec("aws_cdk").submodule_search_locations[0]) / "asset_awscli_v2" / "_jsii"
[archive] = package.glob("*.tgz")
with tarfile.open(archive) as outer:
    layer = outer.extractfile("package/lib/layer.zip").read()
with zipfile.ZipFile(io.BytesIO(layer)) as inner:
    for name in inner.namelist():
        _, marker, path = name.partition("/dist/")
        file = target / "dist" / path
        if marker == "" or path == "" or path.endswith("/") or ".." in path.split("/"):
            continue
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(inner.read(name))
os.chmod(target / "dist" / "aws", 0o755)
