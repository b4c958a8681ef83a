#!/usr/bin/env python3
"""Writes an OCI image archive of the claviger binary, without a container engine.

The image holds the binary, the shared libraries that it needs, CA certificates, and the four files that name its user
and its resolver; nothing else, no shell. The same inputs give the same bytes: no time, owner or order of this machine
reaches the archive.

Format: OCI Image Layout 1.0 in a tar (`ctr images import`, `podman load`, `skopeo copy oci-archive:…`).
"""

import argparse
import gzip
import hashlib
import io
import json
import os
import pathlib
import re
import subprocess
import sys
import tarfile

# Distroless calls this number "nonroot"; the chart's securityContext names it too.
USER = 65532
PROGRAMS = "usr/local/bin/"
DATA = "var/lib/claviger"
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
CERTIFICATES = [
    "/etc/ssl/certs/ca-certificates.crt",  # Debian, Ubuntu, Alpine
    "/etc/pki/tls/certs/ca-bundle.crt",  # Fedora, RHEL
]
SMALL_FILES = {
    "etc/passwd": f"root:x:0:0:root:/:/sbin/nologin\nnonroot:x:{USER}:{USER}:nonroot:/:/sbin/nologin\n",
    "etc/group": f"root:x:0:\nnonroot:x:{USER}:\n",
    # Without this glibc asks DNS before /etc/hosts, where Kubernetes writes hostAliases.
    "etc/nsswitch.conf": "hosts: files dns\n",
}


def fail(message):
    sys.exit(f"image: {message}")


def libraries(binary):
    """The shared objects that the dynamic loader takes for `binary`: path in the image -> file here."""
    listing = subprocess.run(["ldd", binary], capture_output=True, text=True, check=False)
    if "not a dynamic executable" in listing.stdout + listing.stderr or "statically linked" in listing.stdout:
        return {}
    if listing.returncode != 0 or "not found" in listing.stdout:
        fail(f"failed to list the libraries of {binary}:\n{listing.stdout}{listing.stderr}")
    found = {}
    for line in listing.stdout.splitlines():
        match = re.match(r"\s*(?:\S+ => )?(/\S+) \(0x", line)
        if match:
            found[match.group(1).lstrip("/")] = os.path.realpath(match.group(1))
    if not found:
        fail(f"ldd named no library of {binary}, and it is not static:\n{listing.stdout}")
    return found


def certificates():
    """The CA bundle of this machine."""
    for path in [os.environ.get("SSL_CERT_FILE", ""), *CERTIFICATES]:
        if path and os.path.isfile(path):
            return path
    fail("no CA certificates found: install the package ca-certificates, or set SSL_CERT_FILE")


def entry(name, mode, owner=0, kind=tarfile.REGTYPE):
    info = tarfile.TarInfo(name)
    info.mode, info.uid, info.gid, info.type, info.mtime = mode, owner, owner, kind, 0
    return info


def layer(binary):
    """The root file system as an uncompressed tar."""
    files = {path: (pathlib.Path(file).read_bytes(), 0o755) for path, file in libraries(binary).items()}
    files[PROGRAMS + os.path.basename(binary)] = (pathlib.Path(binary).read_bytes(), 0o755)
    files["etc/ssl/certs/ca-certificates.crt"] = (pathlib.Path(certificates()).read_bytes(), 0o644)
    files |= {path: (text.encode(), 0o644) for path, text in SMALL_FILES.items()}
    folders = {str(parent) for path in [*files, DATA] for parent in pathlib.PurePath(path).parents} - {"."}
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for folder in sorted(folders):
            tar.addfile(entry(folder + "/", 0o755, kind=tarfile.DIRTYPE))
        # What is mounted here at run time belongs to the user; so does the mount point when nothing is mounted.
        tar.addfile(entry(DATA + "/", 0o750, owner=USER, kind=tarfile.DIRTYPE))
        for path, (content, mode) in sorted(files.items()):
            info = entry(path, mode)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return out.getvalue()


def image(root, program, architecture, version):
    """The blobs of the image, and the descriptor of its manifest."""
    blobs = {}

    def blob(media_type, content):
        digest = "sha256:" + hashlib.sha256(content).hexdigest()
        blobs[digest] = content
        return {"mediaType": media_type, "digest": digest, "size": len(content)}

    def document(media_type, value):
        return blob(media_type, json.dumps(value, sort_keys=True, separators=(",", ":")).encode())

    config = {
        "architecture": architecture,
        "os": "linux",
        "config": {
            "User": f"{USER}:{USER}",
            "Entrypoint": [f"/{PROGRAMS}{program}"],
            "Cmd": ["--help"],
            "Env": ["SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt"],
            "WorkingDir": "/",
            "Labels": {
                "org.opencontainers.image.title": program,
                "org.opencontainers.image.version": version,
                "org.opencontainers.image.licenses": "Apache-2.0",
            },
        },
        "rootfs": {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(root).hexdigest()]},
        "history": [{"created_by": "image/archive.py"}],
    }
    packed = gzip.compress(root, compresslevel=9, mtime=0)
    manifest = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": document("application/vnd.oci.image.config.v1+json", config),
        "layers": [blob("application/vnd.oci.image.layer.v1.tar+gzip", packed)],
    }
    return blobs, document(manifest["mediaType"], manifest)


def write(path, blobs, descriptor, name, version, architecture):
    descriptor = descriptor | {
        "platform": {"architecture": architecture, "os": "linux"},
        "annotations": {
            # containerd names the imported image by the first, the OCI layout's own tools by the second.
            "io.containerd.image.name": f"{name}:{version}",
            "org.opencontainers.image.ref.name": version,
        },
    }
    index = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": [descriptor]}
    files = {"oci-layout": b'{"imageLayoutVersion":"1.0.0"}', "index.json": json.dumps(index, sort_keys=True).encode()}
    files |= {"blobs/" + digest.replace(":", "/"): content for digest, content in blobs.items()}
    partial = pathlib.Path(f"{path}.partial")
    with tarfile.open(partial, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for folder in ["blobs/", "blobs/sha256/"]:
            tar.addfile(entry(folder, 0o755, kind=tarfile.DIRTYPE))
        for file, content in sorted(files.items()):
            info = entry(file, 0o644)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    partial.replace(path)


def unpack(root, folder):
    folder = pathlib.Path(folder)
    if folder.is_dir() and any(folder.iterdir()):
        fail(f"{folder} is not empty: name an empty or a new folder for the root file system")
    folder.mkdir(parents=True, exist_ok=True)
    with tarfile.open(fileobj=io.BytesIO(root)) as tar:
        tar.extractall(folder, numeric_owner=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("binary", help="the claviger binary, built for Linux")
    parser.add_argument("archive", help="the file to write")
    parser.add_argument("--name", default="docker.io/library/claviger", help="the image's name, without its tag")
    parser.add_argument("--version", required=True, help="the image's tag")
    parser.add_argument("--root", help="also unpack the root file system into this folder, which must be empty or new")
    arguments = parser.parse_args()
    if not os.path.isfile(arguments.binary):
        fail(f"there is no binary {arguments.binary}: build it first")
    machine = os.uname().machine
    if machine not in ARCHITECTURES:
        fail(f"no image is made for {machine}, only for {', '.join(ARCHITECTURES)}")
    architecture = ARCHITECTURES[machine]
    root = layer(arguments.binary)
    if arguments.root:
        unpack(root, arguments.root)
    blobs, descriptor = image(root, os.path.basename(arguments.binary), architecture, arguments.version)
    write(arguments.archive, blobs, descriptor, arguments.name, arguments.version, architecture)
    size = os.path.getsize(arguments.archive)
    print(f"{arguments.archive}: {arguments.name}:{arguments.version}, linux/{architecture}, "
          f"{size / 1e6:.1f} MB ({len(root) / 1e6:.1f} MB unpacked), {descriptor['digest']}")


if __name__ == "__main__":
    main()
