"""The DICOM door of a simulated system, and its way out, both journaled.

``DimseDoor(bench, {sop_class: [transfer syntaxes]}, on_find=..., on_store=...)`` listens; handlers are those of
``wire.dimse_asyncio.Acceptor`` (coroutines) and change state inside ``with bench.change(state):`` before they answer.
``async with calling(bench, "pacs", "dicom", contexts) as association:`` opens an association to another actor.
"""
