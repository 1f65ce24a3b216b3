"""Recording what real systems say to each other, as drafts of scenarios in which every identity is invented.

Two walls stand between a patient and the disk. First, each exchange is replaced while it is in memory, by a list of fields that may
stay and the values they may have (:mod:`~stepwedge.lab.recording.messages`, :mod:`~stepwedge.lab.recording.datasets`): what is not on
the list does not exist any more when anything else looks. Second, nothing is written before the end, and then only drafts, made from
what was replaced (:mod:`~stepwedge.lab.recording.heard`). Who became whom follows from a secret that no file ever holds
(:mod:`~stepwedge.lab.recording.surrogates`).
"""
