"""What is shown of a source's address: never a user, a password or a token. Verdicts, logs and errors show this.

Passwords stand before ``@``, in queries under any name, and in paths; and they hold ``/ ? # [ @`` themselves. So the
rule is what may be shown: scheme, host, port, and the words and small numbers that cameras use in paths and queries.
What else there is becomes ``...``, and so does the host where it may be part of a password.
"""

from __future__ import annotations

import re
import shlex

from edgeirf.text import printable

_PLAIN = ("test", "file", "v4l2", "csi", "genicam")
_HOST = re.compile(r"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")
_WORDS = (  # noqa: SIM905
    "stream streams streaming channel channels ch cam camera cameras video videos videostream live main sub mainstream "
    "substream av media unicast multicast onvif profile h264 h265 hevc mjpg mjpeg mpeg mp4 sdp cgi bin axis amp "
    "realmonitor preview track trackid m3u8 hls snapshot jpg"
).split()
_WORD = re.compile(rf"(?:{'|'.join(sorted(_WORDS, key=len, reverse=True))})?[0-9]{{0,3}}", re.IGNORECASE)
_SETTING = re.compile(
    r"(?:channel|subtype|stream|streamtype|camera|profile|unicast|proto|width|height|fps|resolution|codec|seed|defects|rate)"
    r"=(?:[0-9.]{1,4}|[0-9]{3,4}x[0-9]{3,4}|onvif|h26[45]|mjpeg|jpeg|true|false)",
    re.IGNORECASE,
)
_ELEMENT = re.compile(r"[a-z][a-z0-9_]*")
_PROPERTY = re.compile(
    r"(?:device=/dev/video[0-9]+|(?:sensor-id|num-buffers|max-buffers|latency|pattern|drop|sync)=[a-z0-9]{1,5})"
    r"|(?:video|image)/[\w-]+(?:,\s*(?:format|width|height|framerate)=(?:\(\w+\))?[\w/]+)*",
)
_SUSPECT = re.compile(r":[^@]*@|(?:pass|pwd|psw|secret|token|key)\w*=", re.IGNORECASE)


def shown(address: str) -> str:
    """``address`` as it may be shown.

    >>> shown("rtsp://admin:s3cret@10.0.0.5:554/Streaming/Channels/101")
    'rtsp://10.0.0.5:554/Streaming/Channels/101'
    >>> shown("http://10.0.0.5/video.cgi?user=admin&pwd=s3cret&channel=1")
    'http://10.0.0.5/video.cgi?channel=1&...'
    >>> shown("rtsp://admin:s3/cret@10.0.0.5/live")
    'rtsp://...'
    """
    scheme, colon, rest = address.strip().partition(":")
    if scheme.lower() == "gst" and colon:
        return f"gst:{_pipeline(rest)}"
    if scheme.lower() in _PLAIN:
        return f"{scheme.lower()}://..." if _SUSPECT.search(rest) else printable(address)
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9+.-]+", scheme) or not rest.startswith("/"):
        return "..." if _SUSPECT.search(address) else printable(address)
    return f"{scheme.lower()}://{_location(rest.lstrip('/'))}"


def without_secrets(message: str, address: str) -> str:
    """A library's message with the address in it as it may be shown."""
    for part in (address, address.strip(), address.partition("://")[2]):
        if part:
            message = message.replace(part, shown(address))
    return message


def _location(text: str) -> str:
    authority, place = _split(text, "/?#\\")
    host = authority.rpartition("@")[2]
    if "@" in place or not _HOST.fullmatch(host):
        return "..."
    path, rest = _split(place.partition("#")[0], "?")
    segments = [part if _harmless(part) else "..." for part in path.split("/")]
    query = [part for part in rest[1:].split("&") if _SETTING.fullmatch(part)]
    if len(query) < len(rest[1:].split("&")) and rest[1:]:
        query.append("...")
    return host + "/".join(segments) + ("?" if query else "") + "&".join(query)


def _split(text: str, separators: str) -> tuple[str, str]:
    """``text`` before the first of the separators, and from there on."""
    places = [place for separator in separators if (place := text.find(separator)) >= 0]
    end = min(places, default=len(text))
    return text[:end], text[end:]


def _harmless(segment: str) -> bool:
    return all(_WORD.fullmatch(word) for word in re.split(r"[._\-]", segment))


def _pipeline(text: str) -> str:
    """Elements and the properties that hold no secrets."""
    try:
        words = shlex.split(text.removeprefix("//"), posix=True)
    except ValueError:
        return "..."
    parts, first = [], True
    for word in words:
        if word == "!":
            parts.append("!")
        elif _PROPERTY.fullmatch(word) or (first and _ELEMENT.fullmatch(word)):
            parts.append(word)
        elif parts[-1:] != ["..."]:
            parts.append("...")
        first = word == "!"
    return " ".join(parts)
