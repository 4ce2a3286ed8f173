"""The one place where parts are chosen and joined; only the apps and the command import it."""
