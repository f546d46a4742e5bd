"use strict";
// What htmx alone does not do: select a page, ask before big steps, and not refresh under somebody's hands.

const board = () => document.getElementById("board");

document.addEventListener("change", (event) => {
  if (event.target.matches("[data-all]")) {
    for (const box of document.querySelectorAll("input.pick")) box.checked = event.target.checked;
  }
});

document.addEventListener("click", (event) => {
  if (event.target.matches("[data-close]")) document.getElementById("notice").replaceChildren();
});

function say(sentence) {
  const text = document.createElement("p");
  text.textContent = sentence;
  document.getElementById("notice").replaceChildren(text);
}

function isBusy(place) {
  const at = document.activeElement;
  return (
    (at && at !== document.body && place.contains(at)) ||
    place.querySelector("input:checked, details[open]") !== null ||
    [...place.querySelectorAll("input[name=reason]")].some((field) => field.value !== "")
  );
}

document.addEventListener("htmx:confirm", (event) => {
  const place = board();
  // The regular refresh waits while somebody selects, types or reads; one that follows from an action does not.
  if (event.detail.elt === place && event.detail.triggeringEvent === undefined) {
    if (document.hidden || isBusy(place)) event.preventDefault();
    return;
  }
  const button = event.detail.triggeringEvent && event.detail.triggeringEvent.submitter;
  const form = event.detail.elt;
  if (!button || !["people", "act"].includes(form.id)) return;
  const reason = form.querySelector("[name=reason]");
  if (["deny", "revoke"].includes(button.value) && !reason.value.trim()) {
    event.preventDefault();
    say("A reason is needed; it stands in the history.");
    reason.focus();
    return;
  }
  if (form.id === "people" && !form.querySelector("input.pick:checked, #scope:checked")) {
    event.preventDefault();
    say("Nobody is selected.");
    return;
  }
  const all = form.querySelector("#scope");
  if (!(all && all.checked) && button.value !== "revoke") return;
  const many = all && all.checked ? "everybody in this list" : "the selected people";
  const verb = { approve: "Approve", deny: "Deny", reinvite: "Reinvite", revoke: "Take back all access of", retry: "Try again" };
  event.preventDefault();
  if (window.confirm(`${verb[button.value]} ${many}?`)) event.detail.issueRequest(true);
});

document.addEventListener("htmx:beforeRequest", (event) => {
  const notice = document.getElementById("notice");
  if (event.detail.elt !== board()) notice.replaceChildren();
});

document.addEventListener("htmx:sendError", () => say("The server cannot be reached."));
