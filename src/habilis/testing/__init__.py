"""What users need to test their own worlds, tools and writers."""
