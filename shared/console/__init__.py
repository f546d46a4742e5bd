"""The administrator's pages: templates, style and scripts. They show what they are given and decide nothing."""
