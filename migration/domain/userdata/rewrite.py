"""The same call with a token, in its own language (AWS: EC2 User Guide, "Use IMDSv2")."""

import re

URL = "http://169.254.169.254/latest/api/token"
TTL = "X-aws-ec2-metadata-token-ttl-seconds"
TOKEN = "X-aws-ec2-metadata-token"  # noqa: S105 -- a header's name

CURL_TOKEN = f'TOKEN=$(curl -sf -X PUT {URL} -H "{TTL}: 21600")'
POWERSHELL_TOKEN = f'$token = Invoke-RestMethod -Method PUT -Uri {URL} -Headers @{{"{TTL}"="21600"}}'
PYTHON_TOKEN = f'token = requests.put("{URL}", headers={{"{TTL}": "21600"}}, timeout=2).text'
URLLIB_TOKEN = (
    f'ask = urllib.request.Request("{URL}", method="PUT", headers={{"{TTL}": "21600"}}); '
    "token = urllib.request.urlopen(ask, timeout=2).read().decode()"
)
NODE_TOKEN = f'const token = await (await fetch("{URL}", {{method: "PUT", headers: {{"{TTL}": "21600"}}}})).text()'
RUBY_TOKEN = (
    'token = Net::HTTP.start("169.254.169.254") { |http| '
    f'http.put("/latest/api/token", "", "{TTL}" => "21600").body }}'
)


def rewrite(text: str, language: str) -> tuple[str, bool]:
    """What to write instead, and True; or advice, and False, where it cannot be done by rule."""
    bare = " ".join(text.split())
    if re.search(r"/dev/tcp|\b(?:nc|ncat|netcat|telnet|socat)\b", bare):
        return f'Ask with curl and a token: {CURL_TOKEN}; curl -sf -H "{TOKEN}: $TOKEN" http://169.254.169.254/…', False
    for pattern, token, put in RULES:
        if re.search(pattern, bare) and (changed := put(bare)) != bare:
            return f"{token}\n{changed}", True
    return ADVICE.get(language, f"Fetch a token by PUT from {URL} first, and send it as the header {TOKEN}."), False


def _curl(text: str) -> str:
    return re.sub(r"\bcurl(\.exe)?\b(?!\s+-sf -X PUT)", lambda m: f'{m[0]} -H "{TOKEN}: $TOKEN"', text, count=1)


def _wget(text: str) -> str:
    return re.sub(r"\bwget\b", f'wget --header="{TOKEN}: $TOKEN"', text, count=1)


def _powershell(text: str) -> str:
    return re.sub(
        r"(?i)\b(Invoke-RestMethod|Invoke-WebRequest|irm|iwr)\b",
        lambda m: f'{m[0]} -Headers @{{"{TOKEN}"=$token}}',
        text,
        count=1,
    )


def _webclient(text: str) -> str:
    found = re.search(r"(?i)\(?New-Object\s+(?:System\.)?Net\.WebClient\)?\.DownloadString\(([^)]*)\)", text)
    if not found:
        return text
    return text.replace(found[0], f'Invoke-RestMethod -Uri {found[1]} -Headers @{{"{TOKEN}"=$token}}')


def _inside(text: str, name: str, more: str) -> str:
    """`name(a)` -> `name(a, more)`, at the bracket that closes it."""
    begin = text.find(f"{name}(")
    if begin < 0:
        return text
    depth, at = 0, begin + len(name)
    while at < len(text):
        depth += (text[at] == "(") - (text[at] == ")")
        if depth == 0:
            return f"{text[:at]}, {more}{text[at:]}"
        at += 1
    return text


def _requests(text: str) -> str:
    return _inside(text, "requests.get", f'headers={{"{TOKEN}": token}}')


def _urlopen(text: str) -> str:
    found = re.search(r"(?:urllib\.request\.|urllib2\.)?urlopen\(((?:[^(),\"']|\"[^\"]*\"|'[^']*')+)", text)
    if not found:
        return text
    made = f'urllib.request.urlopen(urllib.request.Request({found[1]}, headers={{"{TOKEN}": token}})'
    return text.replace(found[0], made, 1)


def _fetch(text: str) -> str:
    return _inside(text, "fetch", f'{{headers: {{"{TOKEN}": token}}}}')


def _axios(text: str) -> str:
    return _inside(text, "axios.get", f'{{headers: {{"{TOKEN}": token}}}}')


def _ruby(text: str) -> str:
    return _inside(text, "Net::HTTP.get", f'{{"{TOKEN}" => token}}')


RULES = (
    (r"\bcurl(?:\.exe)?\b", CURL_TOKEN, _curl),
    (r"\bwget\b", CURL_TOKEN, _wget),
    (r"(?i)Net\.WebClient\)?\.DownloadString", POWERSHELL_TOKEN, _webclient),
    (r"(?i)\b(?:Invoke-RestMethod|Invoke-WebRequest|irm|iwr)\b", POWERSHELL_TOKEN, _powershell),
    (r"\brequests\.get\(", PYTHON_TOKEN, _requests),
    (r"\burlopen\(", URLLIB_TOKEN, _urlopen),
    (r"\bfetch\(", NODE_TOKEN, _fetch),
    (r"\baxios\.get\(", NODE_TOKEN, _axios),
    (r"Net::HTTP\.get\(", RUBY_TOKEN, _ruby),
)
ADVICE = {
    "go": f'Use the SDK\'s imds client, or http.NewRequest with Header.Set("{TOKEN}", token) after a PUT to {URL}.',
    "java": f'Use the SDK\'s Ec2MetadataClient, or setRequestProperty("{TOKEN}", token) after a PUT to {URL}.',
    "php": f'Give file_get_contents a stream context with the header "{TOKEN}: $token", fetched by PUT from {URL}.',
    "perl": f'Send the header "{TOKEN}" => $token, fetched by PUT from {URL}.',
    "javascript": f'Use the SDK\'s MetadataService, or send headers: {{"{TOKEN}": token}} after a PUT to {URL}.',
    "ruby": f'Use Aws::EC2Metadata, or req["{TOKEN}"] = token after a PUT to {URL}.',
    "python": f'Send headers={{"{TOKEN}": token}}, the token fetched by PUT from {URL}.',
    "powershell": f'Send -Headers @{{"{TOKEN}"=$token}}, the token fetched by PUT from {URL}.',
}
