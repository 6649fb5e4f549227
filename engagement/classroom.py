"""What BigBlueButton's words for what people do mean, in its recordings and in its webhooks. Pure."""

HAND = "raiseHand"
PUBLIC_CHAT = "MAIN-PUBLIC-GROUP-CHAT"
NO_REACTION = {"", "none", "away"}  # states of a person that are no reaction to anything


def name_hand(is_up: bool) -> str:
    """Return the type of the raw event that a hand went up, or down."""
    return "hand_raised" if is_up else "hand_lowered"


def name_microphone(is_muted: bool) -> str:
    """Return the type of the raw event; who joins muted has a microphone that is off."""
    return "mic_off" if is_muted else "mic_on"


def name_voice(is_talking: bool) -> str:
    """Return the type of the raw event that somebody began to talk, or fell silent."""
    return "talk_started" if is_talking else "talk_stopped"
