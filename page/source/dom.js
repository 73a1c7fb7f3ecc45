// Small things about elements. Text goes in as text, never as markup; styles as classes, which the page's CSP asks for.

export function byId (id) {
  return document.getElementById(id)
}

// element('a.big', { href }, 'text', child)
export function element (kind, attributes = {}, ...children) {
  const [tag, ...classes] = kind.split('.')
  return fill(document.createElement(tag), classes, attributes, children)
}

export function svg (kind, attributes = {}, ...children) {
  const [tag, ...classes] = kind.split('.')
  return fill(document.createElementNS('http://www.w3.org/2000/svg', tag), classes, attributes, children)
}

// Only where it differs: what is selected stays selected, and nothing is read out again.
export function setText (node, text) {
  if (node.textContent !== text) {
    node.textContent = text
  }
}

export function setData (node, name, value) {
  if (node.dataset[name] !== String(value)) {
    node.dataset[name] = value
  }
}

function fill (node, classes, attributes, children) {
  node.classList.add(...classes)
  for (const [name, value] of Object.entries(attributes)) {
    node.setAttribute(name, value)
  }
  node.append(...children)
  return node
}
