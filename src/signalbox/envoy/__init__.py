"""Envoy's side of Signalbox: its configuration from the policy, and what it says about it.

    Policy, Layout ──render──> Rendered ──files.write──> run directory ──watched by──> Envoy ──admin──> Applied

Rendering is pure. `binary` finds an Envoy; starting it is left to whoever runs one.
"""
