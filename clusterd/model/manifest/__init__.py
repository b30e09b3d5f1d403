"""Pure. Manifests: the text in which operators describe what should run (`clusterctl apply`, `clusterctl export`)."""

from clusterd.model.manifest.parse import parse_manifest
from clusterd.model.manifest.problems import BadManifest, ManifestProblem
from clusterd.model.manifest.render import render_manifest
from clusterd.model.manifest.specs import GroupSpec, Manifest, ResourceSpec

__all__ = [
    "BadManifest",
    "GroupSpec",
    "Manifest",
    "ManifestProblem",
    "ResourceSpec",
    "parse_manifest",
    "render_manifest",
]
