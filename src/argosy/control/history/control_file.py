"""The file `control.db`: its name and the numbered steps of its format. History and time series share it."""

from __future__ import annotations

FILE = "control.db"
STEPS = {
    1: """
CREATE TABLE IF NOT EXISTS counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS events (
    seq INTEGER PRIMARY KEY, at REAL NOT NULL, kind TEXT NOT NULL, subject TEXT NOT NULL,
    before TEXT NOT NULL, after TEXT NOT NULL, why TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS memories (name TEXT PRIMARY KEY, at REAL NOT NULL, value BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS series (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE IF NOT EXISTS ticks (
    step_s INTEGER NOT NULL, bin INTEGER NOT NULL, points BLOB NOT NULL, PRIMARY KEY (step_s, bin)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS chunks (
    step_s INTEGER NOT NULL, first INTEGER NOT NULL, series INTEGER NOT NULL, points BLOB NOT NULL,
    UNIQUE (series, step_s, first)
);
CREATE INDEX IF NOT EXISTS chunks_by_age ON chunks (step_s, first)
"""
}
