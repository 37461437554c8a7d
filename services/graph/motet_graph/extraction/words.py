"""English words by which names are told from other words."""

from __future__ import annotations

__all__ = ["FUNCTION_WORDS", "OPENERS"]

FUNCTION_WORDS = frozenset(
    {
        "a", "about", "above", "after", "again", "against", "all", "also", "although", "am",
        "among", "an", "and", "any", "are", "as", "at", "be", "because", "been", "before",
        "being", "below", "between", "both", "but", "by", "can", "could", "did", "do", "does",
        "doing", "down", "during", "each", "either", "else", "even", "ever", "every", "few",
        "for", "from", "further", "had", "has", "have", "having", "he", "her", "here", "hers",
        "herself", "him", "himself", "his", "how", "however", "i", "if", "in", "into", "is",
        "it", "its", "itself", "just", "later", "made", "many", "may", "me", "might", "more",
        "most", "much", "must", "my", "neither", "never", "no", "nor", "not", "now", "of",
        "off", "often", "on", "once", "one", "only", "or", "other", "others", "our", "ours",
        "out", "over", "own", "per", "rather", "same", "shall", "she", "should", "since",
        "so", "some", "such", "than", "that", "the", "their", "theirs", "them", "themselves",
        "then", "there", "therefore", "these", "they", "this", "those", "though", "through",
        "thus", "to", "too", "under", "until", "up", "upon", "us", "very", "was", "we",
        "were", "what", "when", "where", "whereas", "whether", "which", "while", "who",
        "whom", "whose", "why", "will", "with", "within", "without", "would", "yet", "you",
        "your", "yours",
    }
)  # fmt: skip
"""Words that are no name, and in no noun phrase."""

OPENERS = frozenset(
    {
        "according", "additionally", "along", "around", "as", "based", "became", "become",
        "began", "beginning", "born", "building", "closing", "despite", "due", "earlier",
        "early", "eventually", "finally", "first", "following", "founded", "frequently",
        "given", "historically", "initially", "instead", "known", "last", "late", "leading",
        "less", "like", "located", "making", "meanwhile", "modern", "moreover", "most",
        "named", "near", "nearly", "new", "next", "note", "old", "opening", "originally",
        "otherwise", "part", "previously", "prior", "recently", "running", "second", "several",
        "similarly", "sometimes", "soon", "starting", "still", "subsequently", "third",
        "today", "together", "traditionally", "two", "typically", "unlike", "using", "usually",
        "via", "well", "written",
    }
)  # fmt: skip
"""Words that begin a sentence with a capital and are no name there."""
