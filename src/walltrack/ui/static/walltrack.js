// Small elements of the dashboard that a browser does best by itself: times in the viewer's zone, and addresses.

const PARTS = [["d", 86400], ["h", 3600], ["min", 60], ["s", 1]];

function spoken(seconds, parts = 2) {
  const said = [];
  let rest = Math.max(0, Math.round(seconds));
  for (const [name, size] of PARTS) {
    const count = Math.floor(rest / size);
    rest -= count * size;
    if (count > 0) said.push(`${count} ${name}`);
    if (said.length === parts || (said.length && count === 0)) break;
  }
  return said.join(" ") || "0 s";
}

const DAY = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", year: "numeric" });
const CLOCK = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
const SECONDS = new Intl.DateTimeFormat("en-GB", {
  hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23",
});

class WallTrackTime extends HTMLElement {
  static observedAttributes = ["datetime", "mode", "skew"];
  connectedCallback() {
    this.show();
    if (this.ticks && !this.timer) this.timer = setInterval(() => this.show(), 1000);
  }
  disconnectedCallback() {
    clearInterval(this.timer);
    this.timer = undefined;
  }
  attributeChangedCallback() {
    if (this.isConnected) this.connectedCallback();
  }
  get ticks() {
    return ["ago", "until", "since", "left"].includes(this.getAttribute("mode"));
  }
  show() {
    const given = this.getAttribute("datetime");
    const at = given ? new Date(given) : null;
    if (!at || Number.isNaN(at.valueOf())) {
      this.textContent = "–";
      this.removeAttribute("title");
      return;
    }
    const utc = at.toISOString().replace("T", " ").slice(0, 19) + " UTC";
    const mode = this.getAttribute("mode");
    const local = `${DAY.format(at)}, ${(mode === "exact" ? SECONDS : CLOCK).format(at)}`;
    const seconds = (Date.now() - at.valueOf()) / 1000;
    let text = local;
    if (mode === "ago") text = seconds < 1 ? "now" : `${spoken(seconds, 1)} ago`;
    if (mode === "until") text = seconds > 0 ? "due now" : `in ${spoken(-seconds)}`;
    if (mode === "since") text = spoken(seconds);
    if (mode === "left") text = spoken(Math.max(0, -seconds));
    if (this.textContent !== text) this.textContent = text;
    const title = mode && mode !== "exact" ? `${local} · ${utc}` : utc;
    if (this.title !== title) this.title = title;
  }
}

async function copied(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    // Browsers lend the clipboard to pages of https or of this machine alone.
    const area = Object.assign(document.createElement("textarea"), { value: text });
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    return done;
  }
}

// <wt-address value kind="wallet|token|tx" label href>: shortened, with a link, a copy button and one to an explorer.
class WallTrackAddress extends HTMLElement {
  static observedAttributes = ["value", "kind", "label", "href", "full"];
  connectedCallback() {
    this.show();
  }
  attributeChangedCallback() {
    if (this.isConnected) this.show();
  }
  show() {
    const value = this.getAttribute("value") || "";
    const kind = this.getAttribute("kind") || "wallet";
    const label = this.getAttribute("label");
    const href = this.getAttribute("href");
    const state = JSON.stringify([value, kind, label, href]);
    if (this.state === state) return;
    this.state = state;
    this.replaceChildren();
    if (!value) {
      this.textContent = "–";
      return;
    }
    const short = value.length > 14 ? `${value.slice(0, 4)}…${value.slice(-4)}` : value;
    const text = document.createElement(href ? "a" : "span");
    if (href) text.href = href;
    text.className = "wt-address__text";
    text.textContent = label || (this.hasAttribute("full") ? value : short);
    text.title = value;
    const copy = document.createElement("button");
    copy.type = "button";
    copy.className = "wt-address__tool wt-address__copy";
    copy.title = "Copy";
    copy.setAttribute("aria-label", `Copy ${value}`);
    copy.addEventListener("click", async (event) => {
      event.stopPropagation();
      copy.dataset.done = (await copied(value)) ? "yes" : "no";
      setTimeout(() => delete copy.dataset.done, 1200);
    });
    const out = document.createElement("a");
    const path = { wallet: "account", token: "token", tx: "tx" }[kind] || "account";
    out.href = `https://solscan.io/${path}/${encodeURIComponent(value)}`;
    out.target = "_blank";
    out.rel = "noopener noreferrer";
    out.className = "wt-address__tool wt-address__out";
    out.title = "Open in an explorer";
    out.setAttribute("aria-label", `Open ${value} in an explorer`);
    out.addEventListener("click", (event) => event.stopPropagation());
    this.append(...(kind === "id" ? [text, copy] : [text, copy, out]));
  }
}

customElements.define("wt-time", WallTrackTime);
customElements.define("wt-address", WallTrackAddress);

window.walltrackTheme = (value) => {
  document.cookie = `walltrack_theme=${value}; path=/; max-age=31536000; SameSite=Strict`;
};
document.cookie =
  `walltrack_zone=${Intl.DateTimeFormat().resolvedOptions().timeZone}; path=/; max-age=31536000; SameSite=Strict`;
