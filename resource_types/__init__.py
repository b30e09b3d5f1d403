"""The resource types that ship with clusterd. They import `clusterd.resource_api` and nothing else of it."""
