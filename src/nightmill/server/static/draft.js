// What the run writes just now, below its turns: each state in place of the one before, and gone once the turn ends. It is
// text of strangers, and only ever made text here.
const box = document.getElementById("draft");
const KINDS = { thinking: ["thinks", "div", "say"], text: ["writes", "div", "say"], call: ["calls", "pre", ""], output: ["runs", "pre", "term"] };
const LINGER = 1500; // milliseconds for which the words stay until their turn stands above them
let attempt = "", leaving = 0;

function show(draft) {
  if (draft.run !== document.body.dataset.run) return;
  if (!draft.pieces.length) { leaving ||= setTimeout(leave, LINGER); return; }
  clearTimeout(leaving);
  leaving = 0;
  if (attempt !== draft.attempt) box.replaceChildren();
  attempt = draft.attempt;
  while (box.children.length > draft.pieces.length) box.lastElementChild.remove();
  draft.pieces.forEach((piece, at) => fill(box.children[at], piece, `${draft.role} ${draft.turn}`));
  box.hidden = false;
}

function leave() {
  clearTimeout(leaving);
  leaving = 0;
  attempt = "";
  box.hidden = true;
  box.replaceChildren();
}

function fill(old, piece, who) {
  const [does, kind, look] = KINDS[piece.kind] || KINDS.text;
  if (piece.by) who = piece.by; // an explorer, beside the turn that sent it out
  const part = old?.dataset.kind === piece.kind ? old : make(old, piece.kind, kind, look);
  const [head, body] = part.children, [verb, name] = head.children;
  put(verb, `${who} ${does}`);
  put(name, piece.name);
  const atEnd = body.scrollTop + body.clientHeight >= body.scrollHeight - 4;
  put(body, (piece.cut ? "… " : "") + piece.text);
  body.setAttribute("aria-label", `What ${who} ${does}`);
  body.hidden = !piece.text;
  if (atEnd) body.scrollTop = body.scrollHeight;
}

function make(old, kind, tag, look) {
  const part = document.createElement("div"), head = document.createElement("p"), body = document.createElement(tag);
  part.dataset.kind = kind;
  head.className = "name";
  head.append(document.createElement("b"), " ", document.createElement("code"));
  body.className = look;
  body.tabIndex = 0;
  body.setAttribute("role", "group");
  part.append(head, body);
  if (old) old.replaceWith(part); else box.append(part);
  return part;
}

// What somebody has chosen of it stays chosen, if it is the same.
function put(at, text) {
  if (at.textContent !== text) at.textContent = text;
}

if (box) {
  document.addEventListener("draft", (event) => show(event.detail));
  document.addEventListener("renewed", () => { if (leaving) leave(); });
}
