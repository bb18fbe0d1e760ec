"""The operator's pages as a browser asks for them: sessions, forms, and who may send them."""

import io
import re
from collections.abc import Callable

import numpy as np
import pytest
from astropy.io import fits
from tests.support.cloud_client import Client
from tests.support.cloud_server import RunningCloud
from tests.support.operating import OPERATOR, Pages, wait_for

GETS = ("", "/nodes", "/interrupts", "/review", "/codes", "/tokens", "/audit")
POSTS = (
    "/sign-out",
    "/nodes/nobody/rotate",
    "/nodes/nobody/revoke",
    "/nodes/nobody/readmit",
    "/nodes/nobody/owner",
    "/nodes/nobody/plan",
    "/interrupts",
    "/review/1",
    "/codes",
    "/codes/withdraw",
    "/registration",
    "/tokens",
    "/tokens/revoke",
)
PAGES_REFUSED = {"reader": {"/codes", "/tokens", "/audit"}, "operator": {"/tokens", "/audit"}}
FORMS_REFUSED = {
    "reader": set(POSTS) - {"/sign-out"},
    "operator": {"/registration", "/tokens", "/tokens/revoke"},
}
HOSTILE = "<script>alert(1)</script>\"'&"


@pytest.fixture
def admin(cloud: RunningCloud, tokens: dict[str, str]) -> Pages:
    """Be signed in as an admin."""
    return Pages.signed_in(cloud.url, tokens["admin"])


def test_a_session_is_the_browsers_alone(cloud: RunningCloud, tokens: dict[str, str]) -> None:
    """The cookie is for these pages, for this site, not for scripts, and is no token."""
    pages = Pages(cloud.url)
    reply = pages.send("/operate/sign-in", {"token": tokens["reader"]})
    assert reply.status == 303
    assert reply.headers["location"] == "/operate"
    cookie = reply.headers["set-cookie"]
    for told in ("Path=/operate", "HttpOnly", "SameSite=strict", "Max-Age=43200"):
        assert told in cookie
    assert "Secure" not in cookie
    assert tokens["reader"] not in cookie
    assert pages.get("/operate").status == 200


def test_a_session_over_tls_stays_on_tls(cloud: RunningCloud, tokens: dict[str, str]) -> None:
    """Behind a TLS proxy the cookie is marked so."""
    for headers in (
        {"Origin": "https://sky.example", "Host": "sky.example"},
        {"X_Forwarded_Proto": "https"},
    ):
        reply = Pages(cloud.url).send("/operate/sign-in", {"token": tokens["reader"]}, **headers)
        assert "Secure" in reply.headers["set-cookie"]


@pytest.mark.parametrize("token", ["", "operator_wrong", "x" * 100_000, "a\x00b"])
def test_a_wrong_token_is_told(cloud: RunningCloud, token: str) -> None:
    """The page comes again with a sentence, without a cookie."""
    reply = Pages(cloud.url).send("/operate/sign-in", {"token": token})
    assert reply.status == 401
    assert b"not known, or was revoked" in reply.body
    assert "set-cookie" not in reply.headers


@pytest.mark.parametrize("path", GETS)
def test_whoever_is_not_signed_in_is_asked_to(cloud: RunningCloud, path: str) -> None:
    """And comes back to the page that they wanted."""
    for pages in (Pages(cloud.url), Pages(cloud.url, "boundless_operator=session_wrong")):
        reply = pages.get(f"/operate{path}")
        assert reply.status == 303
        assert reply.headers["location"] == f"/operate/sign-in?next=/operate{path}"


@pytest.mark.parametrize(
    ("asked", "given"),
    [
        ("/operate/review", "/operate/review"),
        ("https://evil.example/", "/operate"),
        ("//evil.example/operate/", "/operate"),
        ("/operate.evil", "/operate"),
        ("/operate/\r\nX: y", "/operate"),
        ("", "/operate"),
    ],
)
def test_signing_in_leads_to_our_pages_only(
    cloud: RunningCloud, tokens: dict[str, str], asked: str, given: str
) -> None:
    """Nobody is sent to another site."""
    form = {"token": tokens["reader"], "next": asked}
    assert Pages(cloud.url).send("/operate/sign-in", form).headers["location"] == given


def test_signing_out_ends_the_session(cloud: RunningCloud, tokens: dict[str, str]) -> None:
    """On the server too, not only in the browser."""
    pages = Pages.signed_in(cloud.url, tokens["reader"])
    cookie = pages.cookie
    reply = pages.submit("/operate/sign-out", {})
    assert "Max-Age=0" in reply.headers["set-cookie"]
    assert Pages(cloud.url, cookie).get("/operate").status == 303


def test_a_revoked_token_signs_out(
    cloud: RunningCloud, operator: Client, fresh_name: Callable[[str], str]
) -> None:
    """At once, wherever somebody was signed in with it."""
    name = fresh_name("leaver").replace(" ", "-")
    token = operator.post(f"{OPERATOR}/tokens", {"name": name, "role": "admin"})["token"]
    pages = Pages.signed_in(cloud.url, token)
    operator.post(f"{OPERATOR}/tokens/{name}/revoke")
    assert pages.get("/operate").status == 303


@pytest.mark.parametrize("path", POSTS)
def test_a_form_of_nobodys_session_does_nothing(
    cloud: RunningCloud, admin: Pages, tokens: dict[str, str], path: str
) -> None:
    """Without the session's own mark, or with another session's, every form is refused."""
    other = Pages.signed_in(cloud.url, tokens["admin"]).csrf()
    for fields in ({}, {"csrf": ""}, {"csrf": "0" * 64}, {"csrf": other}, {"csrf": "é\ud800"[:1]}):
        reply = admin.send(f"/operate{path}", fields)
        assert reply.status == 403
        assert b"another session" in reply.body


@pytest.mark.parametrize("path", POSTS)
@pytest.mark.parametrize(
    "headers",
    [
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
    ],
)
def test_another_sites_form_does_nothing(admin: Pages, path: str, headers: dict[str, str]) -> None:
    """Not even with the right mark."""
    reply = admin.submit(f"/operate{path}", {}, **headers)
    assert reply.status == 403
    assert b"another site" in reply.body


def test_another_site_signs_nobody_in(cloud: RunningCloud, tokens: dict[str, str]) -> None:
    """Nor can it make a browser ours with its own token."""
    reply = Pages(cloud.url).send(
        "/operate/sign-in", {"token": tokens["admin"]}, Sec_Fetch_Site="cross-site"
    )
    assert reply.status == 403
    assert "set-cookie" not in reply.headers


@pytest.mark.parametrize("path", [*GETS, "/sign-in"])
def test_no_page_is_for_other_origins(admin: Pages, path: str) -> None:
    """No CORS header, no frame, nothing cached."""
    headers = admin.get(f"/operate{path}").headers
    assert not [name for name in headers if name.lower().startswith("access-control")]
    assert headers["x-frame-options"] == "DENY"
    assert headers["cache-control"] == "no-store"
    assert "frame-ancestors 'none'" in headers["content-security-policy"]


@pytest.mark.parametrize("role", ["reader", "operator", "admin"])
def test_each_page_and_form_needs_its_role(
    cloud: RunningCloud, tokens: dict[str, str], role: str
) -> None:
    """As the calls do; what a role may not do is not offered either."""
    pages = Pages.signed_in(cloud.url, tokens[role])
    refused = {path for path in GETS if pages.get(f"/operate{path}").status == 403}
    assert refused == PAGES_REFUSED.get(role, set())
    form = {"reason": "x", "verdict": "accept"}
    refused = {
        path
        for path in set(POSTS) - {"/sign-out"}
        if pages.submit(f"/operate{path}", form).status == 403
    }
    assert refused == FORMS_REFUSED.get(role, set())
    body = pages.get("/operate").body
    assert (b"/operate/codes" in body) is (role != "reader")
    assert (b"/operate/tokens" in body) is (role == "admin")
    sends = b"Send to the nodes" in pages.get("/operate/interrupts").body
    assert sends is (role != "reader")


def test_hostile_names_are_shown_as_text(
    public: Client, operator: Client, admin: Pages, dispute: Callable[[], int]
) -> None:
    """Whatever nodes and operators write stays text on every page."""
    node = public.register(owner_name=HOSTILE, telescope_model=HOSTILE)
    node.post("/api/v1/nodes/heartbeat", {"conditions": {HOSTILE: [HOSTILE, None]}})
    items = [{"target": HOSTILE, "ra": 1, "dec": 1}]
    operator.post(f"/api/v1/nodes/{node.node_id}/plan", {"items": items})
    operator.post(
        "/api/v1/interrupts", {"name": HOSTILE, "reason": HOSTILE, "ra_deg": 1, "dec_deg": 1}
    )
    operator.post(f"{OPERATOR}/codes", {"note": HOSTILE})
    reason = {"verdict": "reject", "reason": HOSTILE}
    number = dispute()
    operator.post(f"{OPERATOR}/review/{number}", reason)
    for path in (*GETS, f"/nodes/{node.node_id}", f"/review/{number}"):
        body = admin.get(f"/operate{path}").body
        assert b"<script>alert" not in body, path
    refused = admin.submit("/operate/interrupts", {"name": HOSTILE, "ra_deg": HOSTILE})
    assert refused.status == 400
    assert b"<script>alert" not in refused.body


def test_a_nodes_images_are_shown(node: Client, operator: Client, admin: Pages) -> None:
    """With their pictures where one could be made, and by name and size where not."""
    frame = io.BytesIO()
    fits.PrimaryHDU(np.arange(4_096, dtype="float32").reshape(64, 64)).writeto(frame)
    node.upload(frame.getvalue(), "good.fits")
    node.upload(b"SIMPLE" * 1_000, "bad.fits")
    where = f"{OPERATOR}/nodes/{node.node_id}"
    sent = {image["name"]: image for image in operator.get(where)["images"]}
    body = wait_for(
        lambda: (
            (told := admin.get(f"/operate/nodes/{node.node_id}").body.decode()).count("<img")
            == 2  # the site's own mark is the other
            and told
        )
    )
    assert f"/api/v1/images/{sent['good.fits']['sha256']}/thumbnail.png" in body
    assert "bad.fits" in body
    assert "5.9 KiB" in body


@pytest.mark.parametrize(
    ("raw", "content_type", "status"),
    [
        (b"csrf=%ff", "application/x-www-form-urlencoded", 400),
        (b"\xff", "application/x-www-form-urlencoded", 400),
        (b"a=1&" * 100, "application/x-www-form-urlencoded", 400),
        (b"{}", "application/json", 415),
        (b"", "", 415),
        (b"--x", "multipart/form-data", 400),
        (b"--x\r\n", "multipart/form-data; boundary=x", 400),
        (b"a=" + b"x" * (3 << 20), "application/x-www-form-urlencoded", 413),
    ],
)
def test_what_is_no_form_is_refused(
    admin: Pages, raw: bytes, content_type: str, status: int
) -> None:
    """With the status that says why, and a page."""
    headers = {"Cookie": admin.cookie, "Content-Type": content_type}
    reply = admin.client.send("POST", "/operate/codes", raw, headers)
    assert reply.status == status
    assert reply.headers["content-type"].startswith("text/html")


def test_a_refused_form_comes_back_as_it_was_typed(admin: Pages) -> None:
    """What is wrong is said, and nothing has to be typed again."""
    typed = {"name": "SN 2026abc", "ra_deg": "1000", "dec_deg": "54", "reason": "young"}
    body = admin.submit("/operate/interrupts", typed).body.decode()
    assert "ra_deg is 1000, outside of 0 ≤ ra_deg &lt; 360" in body
    for value in typed.values():
        assert f'value="{value}"' in body


def test_codes_and_tokens_are_shown_once(admin: Pages, fresh_name: Callable[[str], str]) -> None:
    """The answer to the form shows them; a token is shown nowhere again."""
    made = admin.submit("/operate/codes", {"count": "2", "days": "1"}).body.decode()
    assert len(re.findall(r"BS-\d{4}-\w{8}", made.split("<pre", 1)[1].split("</pre>")[0])) == 2
    name = fresh_name("page").replace(" ", "-")
    body = admin.submit("/operate/tokens", {"name": name, "role": "reader"}).body.decode()
    (token,) = re.findall(r"operator_[\w-]{43}", body)
    assert token not in admin.get("/operate/tokens").body.decode()


@pytest.mark.parametrize(
    "path",
    [
        "/nodes/nobody",
        "/review/x",
        "/review/999999999",
        "/nowhere",
        "/audit?before=x",
        "/nodes/a/b",
    ],
)
def test_what_is_not_there_is_a_page_too(admin: Pages, path: str) -> None:
    """404, or 405 where only forms go; as HTML."""
    reply = admin.get(f"/operate{path}")
    assert reply.status in (404, 405)
    assert reply.headers["content-type"].startswith("text/html")
