"""The dashboards as viewers meet them: index, light and dark, phone, token, and all of it through a real nginx."""

import re
import shutil
import subprocess
import time

import pytest
from playwright.sync_api import expect

from tests.servers import ROOT, free_port, get, serving

pytestmark = pytest.mark.browser
PREFIX, TOKEN = "/nasviz/", "a-token-of-the-test"
NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")


@pytest.fixture(scope="module")
def port(tmp_path_factory):
    """Of a server with all dashboards behind a prefix, with a token."""
    folder = tmp_path_factory.mktemp("server")
    with serving(folder, "--base-url", PREFIX, path=PREFIX, environment={"JUPYTER_TOKEN": TOKEN}) as port:
        yield port


@pytest.fixture
def proxy(port, tmp_path):
    """The address of an nginx with the block of the documentation; only its ports are others."""
    if NGINX is None:
        pytest.skip("no nginx on this computer: install Debian's package nginx-light")
    page = (ROOT / "notebooks" / "dashboards" / "README.md").read_text(encoding="utf-8")
    block = re.search(r"<!-- nginx -->\n```nginx\n(.*?)```", page, re.DOTALL)[1]
    outside = free_port()
    assert "listen 8080;" in block and "127.0.0.1:8866;" in block
    block = block.replace("listen 8080;", f"listen 127.0.0.1:{outside};").replace(":8866;", f":{port};")
    kinds = "client_body_temp_path proxy_temp_path fastcgi_temp_path uwsgi_temp_path scgi_temp_path".split()
    temporary = "\n".join(f"{kind} {tmp_path}/{kind};" for kind in kinds)
    settings = tmp_path / "nginx.conf"
    settings.write_text(
        f"daemon off; worker_processes 1; pid {tmp_path}/pid; error_log {tmp_path}/error.log;\n"
        f"events {{}}\nhttp {{ access_log off;\n{temporary}\n{block} }}\n"
    )
    nginx = subprocess.Popen([NGINX, "-p", str(tmp_path), "-c", str(settings)], stderr=subprocess.PIPE)
    try:
        for _ in range(100):
            try:
                get(outside, PREFIX)
                break
            except OSError:
                assert nginx.poll() is None, nginx.stderr.read().decode()
                time.sleep(0.1)
        yield f"http://127.0.0.1:{outside}"
    finally:
        nginx.terminate()
        nginx.wait(30)


def luminance(page, selector, what="backgroundColor"):
    """How bright a colour is, from 0 to 255."""
    colour = page.locator(selector).first.evaluate(f"e => getComputedStyle(e).{what}")
    return sum(map(float, re.findall(r"[\d.]+", colour)[:3])) / 3


def test_through_nginx_the_dashboards_work_as_without(page, proxy, watch):
    outside, errors = watch(page, proxy)
    page.set_viewport_size({"width": 1280, "height": 900})
    page.emulate_media(color_scheme="light")

    # who is there is asked first
    page.goto(proxy + PREFIX)
    page.get_by_label("Token").fill("wrong")
    page.get_by_role("button", name="Open").click()
    expect(page.get_by_role("alert")).to_have_text("This token is wrong.")
    page.get_by_label("Token").fill(TOKEN)
    page.get_by_role("button", name="Open").click()

    # the index, on a desk and on a phone, light and dark
    links = page.locator(".pages a")
    expect(links).to_have_count(3)
    assert page.title() == "nasviz: dashboards"
    assert luminance(page, "body") > 240 and luminance(page, "body", "color") < 60
    page.get_by_label("Theme").select_option("dark")
    assert luminance(page, "body") < 40 and luminance(page, "body", "color") > 200
    page.set_viewport_size({"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.set_viewport_size({"width": 1280, "height": 900})

    # a dashboard keeps what was chosen; its widgets react, by websocket, through the proxy
    links.nth(0).click()
    row = page.locator("tr[data-key='4']")
    row.click()
    expect(page.locator("tr.chosen")).to_have_attribute("data-key", "4")
    expect(page.get_by_label("Theme")).to_have_value("dark")
    assert luminance(page, "body") < 60 and luminance(page, ".nasviz-head h2", "color") > 180
    page.get_by_role("tab", name="Metrics").click()
    text = "() => getComputedStyle(document.querySelector('.nasviz-chart .xtick text')).fill.match(/\\d+/)[0]"
    page.locator(".nasviz-chart .main-svg").first.wait_for()
    page.wait_for_function(f"{text} > 180")  # the charts follow
    page.get_by_label("Theme").select_option("light")
    page.wait_for_function(f"{text} < 80")
    page.get_by_role("tab", name="Overview").click()
    assert luminance(page, "body") > 230 and luminance(page, ".nasviz-head h2", "color") < 80

    # a page whose kernel has ended says so
    page.evaluate(
        "async () => { const config = document.getElementById('jupyter-config-data').textContent;"
        " const { baseUrl, kernelId } = JSON.parse(config);"
        " const key = document.cookie.match(/_xsrf=([^;]+)/)?.[1] ?? '';"
        " await fetch(`${baseUrl}voila/api/shutdown/${kernelId}`, { method: 'POST', headers: { 'X-XSRFToken': key } });"
        " document.dispatchEvent(new Event('visibilitychange')); }"
    )
    expect(page.get_by_role("alert")).to_contain_text("has lost the process behind it")
    page.get_by_role("button", name="Load it again").click()
    page.locator("tr[data-key='4']").wait_for()
    expect(page.get_by_role("alert")).to_have_count(0)

    # back to the index by the bar, and what is not there is said in a sentence
    page.get_by_role("link", name="nasviz").click()
    expect(links).to_have_count(3)
    page.goto(proxy + PREFIX + "nothing")
    expect(page.get_by_role("alert")).to_contain_text("The address is not one of this server.")
    assert outside == []
    assert set(errors) <= {"Cannot send"}  # Jupyter's own, where a page is left while it speaks to its kernel
