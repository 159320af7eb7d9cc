// The relay's optional script. On any page:
//
//   <script src="https://relay.example.com/relay.js" defer></script>
//
// It finds the forms that post to the relay it came from, sends them without leaving the page, shows
// what is wrong beside the fields, and thanks in place. Without it the forms work all the same.
//
//   data-relay-thanks="Welcome!"        on a form: the text that takes its place
//   data-relay-redirect="/welcome"      on a form: the page to go to instead
//   .relay-error  .relay-thanks  .relay-suggest   classes for your style sheet
//
// It adds the signed time (relay_ts) itself, asks "Did you mean …?" where an e-mail address looks mistyped,
// and passes utm_*, gclid, fbclid, landing page and referrer along where the source wants them. Nothing is
// stored in the browser.
(() => {
  const page = document;
  const base = new URL(".", page.currentScript.src).href;
  const link = page.createElement("a");
  const states = new WeakMap();
  const get = (element, name) => element.getAttribute(name) || "";
  const set = (element, name, value) => element.setAttribute(name, value);
  let count = 0;

  // Where a form posts to, if that is this relay: "Cancel" in a dialog posts nothing. An input named "action"
  // would hide form.action.
  const target = (form, button) => {
    const said = (name) => (button && get(button, "form" + name)) || get(form, name);
    link.href = said("action");
    return link.href.startsWith(base + "submit/") && !/^dialog$/i.test(said("method")) && link.href;
  };

  // A button that the page took away may not be named any more.
  const within = (form, button) => (button?.form == form ? button : null);

  const stateOf = (form) => states.get(form) || states.set(form, { form, undo: [] }).get(form);

  // A phone that lost its network half-way would wait for minutes.
  const call = (address, options, seconds) => {
    const patience = new AbortController();
    setTimeout(() => patience.abort(), seconds * 1000);
    return fetch(address, { ...options, signal: patience.signal });
  };

  // Asks the relay for a signed time and its words. It answers the same pages that may post, so where
  // this fails, a post by script would never leave: then the browser posts.
  const request = (url) => {
    const [source] = url.slice(base.length + 7).split(/[/?#]/);
    const address = `${base}forms/${source}/timestamp?language=${page.documentElement.lang}`;
    return call(address, {}, 15).then((answer) => (answer.ok ? answer.json() : Promise.reject()));
  };

  const ask = (state, url) => {
    state.url = url;
    state.offer = request(url);
    return state.offer;
  };

  // Has the browser post, from a form of our own: the page may have changed its own. Long after the click
  // browsers open no new window, and would post nothing.
  const leave = (form, url, body) => {
    const own = page.createElement("form");
    const fields = page.createElement("div");
    for (const [name, value] of body) {
      const field = page.createElement("input");
      field.type = "hidden";
      set(field, "name", name);
      set(field, "value", value);
      fields.append(field);
    }
    own.append(fields);
    own.hidden = true;
    const target = (navigator.userActivation?.isActive ?? true) ? get(form, "target") : "";
    const how = { method: "post", action: url, target, "accept-charset": "utf-8" };
    for (const key in how) set(own, key, how[key]);
    page.documentElement.append(own);
    HTMLFormElement.prototype.submit.call(own);
    own.remove();
  };

  const say = ({ texts }, text) =>
    texts[text] || texts[text.replace(/\d+/, "{}")]?.replace("{}", text.match(/\d+/)) || text;

  // Why nothing was taken, where that is not about a field: as the relay's own page would say it.
  const reason = (state, { status, headers }, detail) => {
    const isLong = headers.get("Retry-After") > 90;
    return state.texts[isLong ? status + " later" : status] || say(state, detail);
  };

  const speak = (name, role, text) => {
    const element = page.createElement("p");
    element.className = name;
    // A policy of the page forbids style attributes, not this; a style sheet with !important overrides it.
    if (name == "relay-error") element.style.color = "#b3261e";
    element.id = name + ++count;
    element.textContent = text;
    set(element, "role", role);
    return element;
  };

  // The field of a name where its visitor sees it: it may belong to an earlier step of the form.
  const seen = ({ form }, name) => {
    const found = form.elements.namedItem(name);
    const fields = found && !found.type ? [...found] : [found];
    return fields.find((field) => field && field.type != "hidden" && field.getClientRects().length);
  };

  // Puts a note beside a field, or where there is none to see at the end.
  const put = (state, note, field) => {
    if (field) (field.closest("label") || field).after(note);
    else state.form.append(note);
    state.undo.push(() => note.remove());
    state.note = note;
  };

  const clear = ({ undo }) => {
    while (undo.length) undo.pop()();
  };

  // Shows what is wrong; returns the first field concerned.
  const refuse = (state, errors, detail) => {
    let first;
    const show = (text, field) => {
      const note = speak("relay-error", "alert", text);
      put(state, note, field);
      return note.id;
    };
    for (const name in errors) {
      const text = errors[name].map((one) => say(state, one)).join(" ");
      const field = seen(state, name);
      if (field) {
        const before = get(field, "aria-describedby");
        const mark = (wrong, described) => {
          set(field, "aria-invalid", wrong);
          set(field, "aria-describedby", described);
        };
        mark(true, before + " " + show(text, field));
        state.undo.push(() => mark(false, before));
        first ||= field;
      } else detail = text;
    }
    if (!first) show(detail);
    return first;
  };

  // Asks once whether another address was meant. Nothing is changed unless its visitor says so.
  const suggest = (state, [name, meant]) => {
    const { form, texts } = state;
    const field = form.elements.namedItem(name);
    state.asked = true;
    const note = speak("relay-suggest", "alert", `${texts.did_you_mean} ${meant} `);
    const offer = (label, choose) => {
      const button = page.createElement("button");
      button.type = "button";
      button.textContent = label;
      button.onclick = () => {
        note.remove();
        choose();
        form.requestSubmit(within(form, state.button));
      };
      note.append(button, " ");
      return button;
    };
    const keep = offer(texts.keep_typed, () => 0);
    offer(texts.use_meant, () => (field.value = meant));
    put(state, note, seen(state, name));
    return keep;
  };

  // How the visitor came, as hidden fields; without query strings, which may name people.
  const trail = ({ utm }, body) => {
    const here = new URL(location);
    const plain = (address) => address.split(/[?#]/)[0];
    const known = { landing_page: plain(here.href), referrer: plain(page.referrer) };
    for (const name in utm) {
      const value = known[name] ?? here.searchParams.get(name);
      if (value && !body.get(utm[name])) body.set(utm[name], value);
    }
  };

  const thank = (state) => {
    const { form, texts } = state;
    const { relayRedirect, relayThanks } = form.dataset;
    link.href = relayRedirect;
    if (relayRedirect && (link.protocol == "https:" || link.origin == origin)) location.assign(link.href);
    const text = speak("relay-thanks", "status", relayThanks || texts.thanks);
    text.tabIndex = -1;
    // Out of sight, but there: React, above all, blanks its page where nodes that it made are gone.
    for (const child of form.childNodes) {
      if (child.style) child.style.setProperty("display", "none", "important");
      else if (child.nodeType == Node.TEXT_NODE) child.data = "";
    }
    form.append(text);
    state.thanks = text;
    return text;
  };

  // Whether the signed time says since when the form has been there. That of a form that came into the page
  // later is not known; one that was open for a day would look like an old copy; and one that came long
  // after the page, over a slow network, would make who had filled it in by then look too fast.
  const isTimed = ({ at, seconds }) => {
    const age = (Date.now() - at) / 1000;
    return age < 8e4 && (age >= seconds || performance.now() / 1000 < seconds);
  };

  // Whether anybody sees what was told: a form's fields may stand beside it, and its button.
  const isTold = ({ note }) => note.getClientRects().length;

  const send = async (state, url, body) => {
    const { form, texts } = state;
    // One key for one content: what is sent again after a lost answer is known, what was changed is new.
    if (state.body != body) {
      state.body = body + "";
      state.key = crypto.getRandomValues(new Uint32Array(4)).join("-");
    }
    try {
      const headers = { Accept: "application/json", "Idempotency-Key": state.key };
      // Also for who leaves as soon as they have pressed: browsers ask the relay before they post. They carry no
      // more than 64 KiB in this way.
      const keepalive = state.body.length < 6e4;
      const answer = await call(url, { method: "POST", headers, body, keepalive }, 45);
      if (answer.ok) return thank(state);
      const said = await answer.json();
      const focus = said.suggestion
        ? suggest(state, Object.entries(said.suggestion)[0])
        : refuse(state, said.errors, reason(state, answer, said.detail));
      if (isTold(state)) return focus;
    } catch (problem) {
      // A blocker, or a proxy that stops OPTIONS, may let the script ask and not post. The browser's own post
      // gets through. Who has no network stays on the page.
      const mayAsk = problem.name == "TypeError" && (await request(url).catch(() => 0));
      if (!mayAsk) {
        refuse(state, {}, texts.again);
        if (isTold(state)) return;
      }
    }
    // Nor would anybody see what is wrong in a form that its page hid, to say "Sent!" itself. The same key: if only
    // the answer was lost, it is a repeat.
    clear(state);
    body.delete("relay_suggest");
    body.append("relay_key", state.key);
    leave(form, url, body);
  };

  addEventListener("submit", async (event) => {
    const { target: form, submitter: button } = event;
    const url = target(form, button);
    if (!url || event.defaultPrevented) return;
    event.preventDefault();
    const state = stateOf(form);
    // A button outside the form outlives the thanks.
    if (state.busy || form.contains(state.thanks)) return;
    state.busy = true;
    state.button = button;
    // What was filled in when it was sent: what the page does to its fields from here on is its own affair.
    const body = new URLSearchParams();
    for (const [name, value] of new FormData(form))
      if (value.trim && name != "relay_ts") body.append(name, value);
    // FormData takes the button along in newer browsers only.
    const pressed = within(form, button);
    if (pressed && get(pressed, "name")) body.append(get(pressed, "name"), pressed.value);
    // A signed time is its source's: a button may name another.
    if (state.url != url) state.offer = state.at = 0;
    try {
      Object.assign(state, await (state.offer || ask(state, url)).catch(() => ask(state, url)));
    } catch {
      state.busy = false;
      return leave(form, url, body);
    }
    clear(state);
    if (isTimed(state)) body.append("relay_ts", state.relay_ts);
    trail(state, body);
    if (state.suggest && !state.asked) body.append("relay_suggest", "ask");
    // The button too if the page has switched it off: it is needed again after a mistake.
    const buttons = [...form.querySelectorAll("button:enabled,[type=submit]:enabled")];
    if (button) buttons.push(button);
    for (const one of buttons) one.disabled = true;
    const focus = await send(state, url, body);
    for (const one of buttons) one.disabled = false;
    state.busy = false;
    (focus || button)?.focus();
  });

  const begin = () => {
    for (const form of page.forms) {
      const url = target(form);
      const state = stateOf(form);
      // A page may post without the script, as form.submit() does: its own field says what we would send.
      const fill = (offer) => {
        const at = Date.now();
        if (state.url == url) state.at = at;
        const field = form.querySelector("[name=relay_ts]");
        if (field && isTimed({ ...offer, at })) field.value = offer.relay_ts;
      };
      if (url) ask(state, url).then(fill, () => 0);
    }
  };
  if (page.readyState == "loading") addEventListener("DOMContentLoaded", begin);
  else begin();
})();
