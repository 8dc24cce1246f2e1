"""What people read: words, numbers, tables, figures and pages in French and English."""
