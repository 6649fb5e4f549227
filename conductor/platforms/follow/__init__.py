"""Chats that must be asked for: YouTube's and Twitch's, posted to the REST endpoint by a program of its own."""
