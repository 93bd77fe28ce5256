"""The writers: how a program for a task comes about. Each satisfies `habilis.core.protocols.Writer`."""
