"""`signalbox calibrate`: from requests to the threshold that makes a share, keeps to a budget, or to a quality floor.

file, journal ─> traffic ─> threshold ─> run
"""
