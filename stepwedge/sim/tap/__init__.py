"""Taps: recording proxies between two systems of a lab, real or simulated, and the faults that act in them.

A tap listens on the loopback address and hands every byte on as it came, until it is told otherwise. Its connections are
:mod:`lines <stepwedge.sim.tap.line>`; on each, frames and PDUs are counted (:mod:`~stepwedge.sim.tap.units`), so that a fault acts at
the byte it was told. The faults are in :mod:`stepwedge.sim.tap.faults`, one file each. What passes to a system that is not ours is
read into the journal as that system would have written it down: :mod:`~stepwedge.sim.tap.witness` says when, one
``witness_*`` module for each protocol how, and :mod:`~stepwedge.sim.tap.witnesses` which.
"""
