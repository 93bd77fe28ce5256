"""Knowledge: documents that may help a writer that reads. Files become passages (`reading`, `passages`), which the home
keeps (`base`) and the catalogue offers as augmentations."""
