"""Pure. Manifests: the text in which operators describe what should run (`clusterctl apply`, `clusterctl export`)."""

from clusterd.model.manifest.parse import parse_manifest, read_manifest
from clusterd.model.manifest.problems import BadManifest, ManifestProblem
from clusterd.model.manifest.render import render_manifest
from clusterd.model.manifest.specs import (
    GroupSetSpec,
    GroupSpec,
    Manifest,
    PropertiesSpec,
    ResourceSpec,
    RuleSpec,
)

__all__ = [
    "BadManifest",
    "GroupSetSpec",
    "GroupSpec",
    "Manifest",
    "ManifestProblem",
    "PropertiesSpec",
    "ResourceSpec",
    "RuleSpec",
    "parse_manifest",
    "read_manifest",
    "render_manifest",
]
